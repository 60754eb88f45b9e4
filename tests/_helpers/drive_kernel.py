"""Runs cells in the Deno kernel and presses Stop when a cell prints a word.

Reads a list of {"code", "stop"?} from stdin; writes a list of {"status", "text", "error", "shown"}, where shown are the
outputs by MIME type.
The status is that of the reply, "dead" if the kernel ended, or "silent" if it did not answer in time.
"""
import json
import queue
import sys
import time

from jupyter_client.manager import KernelManager

PATIENCE = 60  # seconds per cell


def run(manager, client, code, stop):
    message = client.execute(code)
    text, error, shown, pressed, replied = "", "", [], False, None
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not manager.is_alive():
            replied = "dead"
            break
        if stop and stop in text and not pressed:
            manager.interrupt_kernel()
            pressed = True
        try:
            received = client.get_iopub_msg(timeout=0.05)
        except queue.Empty:
            received = None
        if received and received["parent_header"].get("msg_id") == message:
            content = received["content"]
            text += content.get("text", "")
            if "data" in content:
                shown.append(content["data"])
            if received["msg_type"] == "error":
                error = content["ename"] + ": " + content["evalue"]
        try:
            reply = client.get_shell_msg(timeout=0)
            if reply["parent_header"].get("msg_id") == message:
                # Outputs may arrive after the reply.
                replied = reply["content"]["status"]
                end = min(end, time.monotonic() + 0.3)
        except queue.Empty:
            pass
    return {"status": replied or "silent", "text": text, "error": error, "shown": shown}


def main():
    manager = KernelManager(kernel_name="deno")
    manager.start_kernel(cwd=sys.argv[1])
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        cells = json.load(sys.stdin)
        results = [run(manager, client, cell["code"], cell.get("stop")) for cell in cells]
        json.dump(results, sys.stdout)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


main()

/** Everything that the entries export, each of which has its own names; pages get a part of the main entry. */
export * from "@closedform/diffusion";
export * from "@closedform/diffusion/compute";
export * from "@closedform/diffusion/theory";
export * from "@closedform/diffusion/training";

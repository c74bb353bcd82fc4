"""The production base: GPT-J of any size with LoRA adapters."""

"""LoRA adapters and P-Tuning prefixes."""

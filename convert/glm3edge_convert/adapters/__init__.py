"""LoRA adapters, merged into a model or as files of their own, and P-Tuning v2 prefixes."""

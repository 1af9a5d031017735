"""Bridges to official checkpoints and devkits."""

"""Inputs of WoTE, per frame."""

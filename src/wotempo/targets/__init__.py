"""Supervision of WoTE, per scene."""

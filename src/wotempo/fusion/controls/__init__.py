"""Controls and wrappers of fusion stages: what an ablation must rule out before it may say that history helped."""

"""How fast may it go: short trials of an unedited script at scaled learning rates, planned, run, judged and kept."""

"""What a step is, and what is known of the open one."""

"""The recorded training trained again in its own process: at other rates and with other remedies, from tapes."""

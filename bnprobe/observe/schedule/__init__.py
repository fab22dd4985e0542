"""At which steps layers are measured."""

"""An analysed run, shown to a person: figures, one offline page, terminal views. Needs no torch and no network."""

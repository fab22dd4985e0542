"""One figure a file: an analysed run in, a ``plotly.graph_objects.Figure`` out. Nothing here reads a file or knows the page."""

"""The figures of Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization" (arXiv 1806.02375), of one's own network."""

"""Variables of the figures of Bjorck et al. 2018."""

from __future__ import annotations

from bnprobe.store.schema.variable import TEXT, Variable

_UBN = "Bjorck et al. 2018 (1806.02375)"

FIGURES = [
    Variable("figure", ("figure",), "i8", "1", "step at which it was measured"),
    Variable(
        "sign_coherence",
        ("figure", "parameter"),
        "f4",
        "1",
        "of a weight of a convolution or a linear layer: how far contributions of samples and places to its gradient agree in sign",
        "sum_w |sum_bxy d| / sum_w sum_bxy |d|, d = delta a, of the first call",
        f"{_UBN}, Table 1",
    ),
    Variable(
        "gradient_noise",
        ("figure", "parameter"),
        "f4",
        "as the gradient, squared",
        "of a weight of a convolution or a linear layer: C, the noise of its gradient, from the samples of the batch; C / N is the "
        "variance of the gradient of a batch of N",
        "N^2 / (N - 1) (sum_n ||c_n||^2 - ||sum_n c_n||^2 / N), c_n what sample n contributes in the first call",
        _UBN,
    ),
    Variable("gradient_noise_samples", ("figure", "parameter"), "f4", "1", "samples whose contributions those are", "N"),
    Variable(
        "gradient_noise_square",
        ("figure", "parameter"),
        "f4",
        "as the gradient, squared",
        "squared norm of the gradient that they sum up to",
        "||sum_n c_n||^2",
    ),
    Variable(
        "gradient_kurtosis",
        ("figure", "parameter"),
        "f4",
        "1",
        "kurtosis of the entries of a weight's gradient; 3 for a Gaussian",
        "mean (g - mean)^4 / var^2",
        f"{_UBN}, Fig 2",
    ),
    Variable(
        "gradient_tail_exponent",
        ("figure", "parameter"),
        "f4",
        "1",
        "Hill's exponent of the largest one per cent of the entries: the density falls as |g|^-(a + 1)",
        "a = 1 / mean_{i <= k} ln(|g|_(i) / |g|_(k+1)), k = n / 100",
        "Hill 1975, Annals of Statistics 3 (5)",
    ),
    Variable("gradient_tail_low", ("figure", "parameter"), "f4", "1", "smallest such exponent over k = n / 200, n / 100, n / 50, n / 20"),
    Variable("gradient_tail_high", ("figure", "parameter"), "f4", "1", "the largest of them"),
    Variable("gradient_rms", ("figure", "parameter"), "f4", "as the gradient", "root mean square of the entries", "sqrt(mean g^2)"),
    Variable("gradient_largest", ("figure", "parameter"), "f4", "as the gradient", "largest entry", "max |g|"),
    Variable("bin", ("bin",), "i4", "1", "index of the bin"),
    Variable("bin_step", ("bin",), "i8", "1", "step of its histogram"),
    Variable("bin_parameter", ("bin",), "i4", "1", "index of the weight"),
    Variable("bin_place", ("bin",), "i4", "1", "place in the histogram: 81 bins of equal width from -gradient_largest to gradient_largest"),
    Variable("bin_count", ("bin",), "f8", "count", "entries in it"),
    Variable("logit", ("logit",), "i4", "1", "index of the entry"),
    Variable("logit_step", ("logit",), "i8", "1", "step"),
    Variable("logit_samples", ("logit",), "i4", "samples", "samples of the batch"),
    Variable("logit_sample", ("logit",), "i4", "1", "sample of the batch"),
    Variable("logit_class", ("logit",), "i4", "1", "output of the last layer"),
    Variable("logit_gradient", ("logit",), "f8", "as the gradient", "gradient of the loss by it", "dL/dz", f"{_UBN}, Fig 6"),
    Variable("singular", ("singular",), "i4", "1", "index of the singular value"),
    Variable("singular_step", ("singular",), "i8", "1", "step"),
    Variable("singular_of", ("singular",), TEXT, "", "of which matrix", "", f"{_UBN}, section 4"),
    Variable("singular_sample", ("singular",), "i4", "1", "sample of the batch; missing for weights"),
    Variable("singular_value", ("singular",), "f8", "1", "singular value, largest first"),
]

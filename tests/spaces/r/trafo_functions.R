param.set <- makeParamSet(
  makeNumericParam("a", 0.01, 10, trafo = function(x) log(x)),
  makeNumericParam("b", 0.01, 10, trafo = function(x) log(x, base = 2) + log(x, 10) + log(x, 3)),
  makeNumericParam("c", 0.01, 10, trafo = function(x) log2(x) - log10(x)),
  makeNumericParam("d", 0, 10, trafo = function(x) sqrt(x)),
  makeNumericParam("e", -3, 3, trafo = function(x) abs(x)),
  makeNumericParam("f", -3, 3, trafo = function(x) max(x, 0)),
  makeNumericParam("g", -3, 3, trafo = function(x) min(1, max(-1, x))),
  makeIntegerParam("h", -7, 7, trafo = function(x) x %% 3),
  makeIntegerParam("i", -7, 7, trafo = function(x) x %/% 3),
  makeNumericParam("j", -3, 3, trafo = function(x) 1 / (1 + exp(-x))),
  makeNumericParam("k", -3, 3, trafo = exp),
  makeNumericParam("l", 0, 1, trafo = function(x) -x^2 + 3 * x - 1),
  makeNumericParam("m", 0, 1, trafo = function(p) p * pi)
)

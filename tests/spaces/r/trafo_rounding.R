param.set <- makeParamSet(
  makeNumericParam("units", lower = 4, upper = 10, trafo = function(x) round(2^x)),
  makeNumericParam("a", 0, 100, trafo = function(x) floor(x / 7)),
  makeNumericParam("b", 0, 100, trafo = function(x) ceiling(x * 0.37)),
  makeNumericParam("c", -10, 10, trafo = function(x) as.integer(x)),
  makeNumericParam("d", -10, 10, trafo = function(x) trunc(x)),
  makeNumericParam("e", -10, 10, trafo = function(x) round(x, 2)),
  makeNumericParam("f", -1e3, 1e3, trafo = function(x) round(x, digits = 1)),
  makeNumericParam("g", 0.001, 1000, trafo = function(x) signif(x, 3)),
  makeNumericParam("h", -12345, 12345, trafo = function(x) round(x, -2)),
  makeIntegerParam("i", 0, 40, trafo = function(x) round(x * 0.05 + 0.005, 2))
)

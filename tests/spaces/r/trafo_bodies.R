half <- function(value) value / 2
base <- 3
param.set <- makeParamSet(
  makeNumericParam("a", 0, 5, trafo = function(x) { y <- base^x; return(round(y)) }),
  makeNumericParam("b", 0, 5, trafo = function(x) {
    y = x + 1
    y * 2
  }),
  makeNumericParam("c", 0, 5, trafo = function(x) if (x > 2.5) x else -x),
  makeNumericParam("d", 0, 5, trafo = function(x) ifelse(x > 2.5 & x < 4, 10^x, 0)),
  makeNumericParam("e", 0, 5, trafo = \(x) x * 10),
  makeNumericParam("f", 0, 5, trafo = half),
  makeNumericParam("g", 0, 5, trafo = function(x, n = 4) x^n)
)

ps <- makeParamSet(
  makeDiscreteParam("kernel", values = c("linear", "radial", "polynomial")),
  makeNumericParam("gamma", lower = -5, upper = 5, trafo = function(x) 2^x, requires = quote(kernel == "radial")),
  makeIntegerParam("degree", lower = 1, upper = 4, requires = quote(kernel %in% c("polynomial", "none"))),
  makeLogicalParam("shrink"),
  makeNumericParam("tol", 0, 1, requires = expression(shrink && kernel != "linear")),
  makeIntegerParam("n", 1, 8, trafo = function(x) 2^x),
  makeNumericParam("deep", 0, 1, requires = quote(n >= 16 | (!shrink & n < 4))),
  makeNumericParam("inner", 0, 1, requires = quote(degree > 2)),
  makeDiscreteParam("plain", values = c(1, 2), requires = quote(shrink == TRUE))
)

param.set <- makeParamSet(
  makeNumericParam("a", lower = 0, upper = 1, default = 0.5),
  makeIntegerParam("b", lower = 1, upper = 9, default = 3L),
  makeDiscreteParam("c", values = c("x", "y"), default = "y"),
  makeLogicalParam("d", default = TRUE),
  makeNumericVectorParam("e", len = 2, lower = 0, upper = 1, default = c(0.1, 0.2)),
  makeNumericParam("f", lower = 0, upper = 1, special.vals = list(NULL), default = NULL),
  makeNumericParam("g", lower = -3, upper = 3, default = 0, trafo = function(x) 10^x, tunable = FALSE),
  makeNumericParam("h", lower = 0, upper = 1, requires = NULL, trafo = NULL)
)

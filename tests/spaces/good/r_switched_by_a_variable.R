use_c <- TRUE
use_d <- FALSE
makeParamSet(
  makeDiscreteParam("opt", values = c("adam", "sgd")),
  makeDiscreteParam("c", values = c(1, 2), requires = quote(use_c)),
  makeDiscreteParam("d", values = c(1, 2), requires = quote(use_d))
)

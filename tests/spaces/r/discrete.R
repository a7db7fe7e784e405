# choices: texts, numbers, one value, a call over several lines
library(ParamHelpers)
param.set <- makeParamSet(
  makeDiscreteParam("activation", values = c("softmax", "elu",
                                             'relu', "tanh")),
  makeDiscreteParam("batch_size", values = c(16, 32, 64)),
  makeDiscreteParam("drop", c(0, 0.1, 0.25)),
  makeDiscreteParam("use_landmark_genes", values = c(1)),
  makeDiscreteParam("optimizer", values = "adam"),
  makeDiscreteParam("dense", values = c("1000 500 50", "500 100", "1000"))
)

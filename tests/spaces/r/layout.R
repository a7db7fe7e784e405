param.set <-
  makeParamSet(
    ParamHelpers::makeNumericParam(
      "a",
      lower
        = 0,
      upper = 1 +
        2
    )
    ,
    makeDiscreteParam("b",
      values = c(
        1,
        2
      ))
    , makeIntegerParam ( "c" , 1 , 2 )); x <- 5

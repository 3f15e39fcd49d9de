package io.millrace.model.train;

public interface LearningRate {
  double at(long step);
}

package io.millrace.model.supervised;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.model.supervised.SupervisedTrainer.Example;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class SupervisedPassesTest {

  /** Examples of three tokens, two to a sequence of six. */
  private static SupervisedPasses passes(int examples, int passes) {
    List<Example> list = new ArrayList<>();
    for (int i = 0; i < examples; i++) {
      list.add(new Example(new int[] {0, i, 1}, new boolean[] {false, true, true}));
    }
    return new SupervisedPasses(
        list, passes, 7, () -> new SequencePacker(6, 2, Concatenation.PACKED, OptionalInt.empty()));
  }

  private static List<List<Integer>> batches(SupervisedPasses passes) {
    List<List<Integer>> batches = new ArrayList<>();
    for (Optional<SequencePacker.Batch> next = passes.next();
        next.isPresent();
        next = passes.next()) {
      batches.add(next.get().sequences().stream().map(example -> example.tokens()[1]).toList());
      assertEquals(batches.getLast().size(), next.get().examples());
    }
    return batches;
  }

  @Test
  void everyExampleComesOnceInEachPassInAnOrderOfItsOwn() {
    SupervisedPasses passes = passes(10, 3);
    List<List<Integer>> batches = batches(passes);
    assertEquals(8, passes.batches());
    assertEquals(8, batches.size());
    List<Integer> all = batches.stream().flatMap(List::stream).toList();
    List<List<Integer>> byPass =
        List.of(all.subList(0, 10), all.subList(10, 20), all.subList(20, 30));
    for (List<Integer> pass : byPass) {
      List<Integer> sorted = new ArrayList<>(pass);
      Collections.sort(sorted);
      assertEquals(List.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), sorted);
    }
    assertNotEquals(byPass.get(0), byPass.get(1));
    assertNotEquals(byPass.get(1), byPass.get(2));
  }

  @Test
  void whatIsLeftOutIsWhatCameFirst() {
    List<List<Integer>> all = batches(passes(10, 2));
    for (int done = 0; done <= all.size(); done++) {
      SupervisedPasses resumed = passes(10, 2);
      resumed.skip(done);
      assertEquals(all.subList(done, all.size()), batches(resumed));
    }
    assertThrows(IllegalArgumentException.class, () -> passes(10, 2).skip(all.size() + 1L));
  }

  @Test
  void nothingIsLearnedFromNothing() {
    assertEquals(0, passes(0, 2).batches());
    assertEquals(Optional.empty(), passes(0, 2).next());
  }
}

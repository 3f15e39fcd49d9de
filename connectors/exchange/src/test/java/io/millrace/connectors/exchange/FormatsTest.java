package io.millrace.connectors.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Formats;
import io.millrace.connectors.exchange.format.MissingSettingException;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each format: which records it gives, and what it refuses. Formats are found by content. */
class FormatsTest {
  private static final Turn QUESTION = new Turn(Role.USER, "Which river?");

  @TempDir Path directory;

  private CollectedRecords read(String... lines) throws IOException {
    return CollectedRecords.of(write(lines));
  }

  private Path write(String... lines) throws IOException {
    // JSON in tests has apostrophes for quotation marks.
    return Files.writeString(
        directory.resolve("data"), String.join("\n", lines).replace('\'', '"'));
  }

  private static void assertChoice(String better, String worse, Judgment judgment) {
    boolean a = judgment.getPreferred() == Preferred.A;
    assertEquals(better, (a ? judgment.getResponseA() : judgment.getResponseB()).getText());
    assertEquals(worse, (a ? judgment.getResponseB() : judgment.getResponseA()).getText());
  }

  @Test
  void trlPlain() throws IOException {
    Judgment judgment =
        read("{'prompt':'Which river?','chosen':'The Elbe.','rejected':'None.','source':'maps'}")
            .only(Judgment.class);
    assertEquals(List.of(QUESTION), judgment.getDialogue());
    assertChoice("The Elbe.", "None.", judgment);
    assertEquals("maps", judgment.getSource());
    assertTrue(judgment.getJudgmentId().startsWith("trl-helpfulness-"), judgment.getJudgmentId());
  }

  @Test
  void trlConversationalWithAndWithoutPrompt() throws IOException {
    String chosen = "{'role':'assistant','content':'The Elbe.'}";
    String rejected = "{'role':'assistant','content':'None.'}";
    String system = "{'role':'system','content':'Be brief.'}";
    String user = "{'role':'user','content':'Which river?'}";
    CollectedRecords collected =
        read(
            "{'prompt':[%s,%s],'chosen':[%s],'rejected':[%s]}"
                .formatted(system, user, chosen, rejected),
            "{'chosen':[%s,%s,%s],'rejected':[%s,%s,%s]}"
                .formatted(system, user, chosen, system, user, rejected),
            // UltraFeedback, binarized: the prompt is the last user turn of the messages.
            "{'prompt':'Which river?','chosen':[%s,%s,%s],'rejected':[%s,%s,%s],'score_chosen':8,'score_rejected':3}"
                .formatted(system, user, chosen, system, user, rejected));
    assertEquals(3, collected.records.size(), collected.refusals.toString());
    for (Object record : collected.records) {
      Judgment judgment = (Judgment) record;
      assertEquals(List.of(new Turn(Role.SYSTEM, "Be brief."), QUESTION), judgment.getDialogue());
      assertChoice("The Elbe.", "None.", judgment);
    }
    // The same content in another form is the same judgment.
    assertEquals(collected.records.get(0), collected.records.get(1));
  }

  @Test
  void trlRefusesWhatItCannotFollow() throws IOException {
    String pair = "'chosen':'a','rejected':'b'}";
    CollectedRecords collected =
        read(
            "{'prompt':'p'," + pair,
            "{'prompt':'p','tools':[{'name':'t'}]," + pair,
            "{'prompt':'p','images':['x.png']," + pair,
            "{'prompt':'p','score_chosen':3,'score_rejected':3," + pair,
            "{'prompt':5," + pair,
            "{'prompt':[{'role':'tool','content':'x'}]," + pair,
            "{'prompt':'p','chosen':'a','rejected':'a '}",
            "{'prompt':'q','chosen':[{'role':'user','content':'p'},{'role':'assistant','content':'a'}],"
                + "'rejected':[{'role':'user','content':'p'},{'role':'assistant','content':'b'}]}",
            "{'prompt':'p','chosen':'a\\u0000','rejected':'b'}");
    assertEquals(1, collected.records.size());
    assertEquals(
        List.of(
            "invalid",
            "invalid",
            "no-preference",
            "invalid",
            "invalid",
            "same-responses",
            "diverging",
            "invalid"),
        collected.reasons());
    assertEquals(
        "prompt[0].role is \"tool\"; it must be system, user or assistant",
        collected.refusals.get(4).message());
    assertTrue(collected.refusals.getLast().message().contains("NUL"));
  }

  @Test
  void theObjectiveMustBeGivenWhereTheFormatDoesNotSayIt() throws IOException {
    Path file = write("{'prompt':'p','chosen':'a','rejected':'b'}");
    Exception e =
        assertThrows(
            MissingSettingException.class,
            () ->
                CollectedRecords.of(file, null, Settings.at(CollectedRecords.NOW), Bounds.DEFAULT));
    assertTrue(e.getMessage().contains("--objective safety"), e.getMessage());
  }

  @Test
  void messages() throws IOException {
    CollectedRecords collected =
        read(
            "{'messages':[{'role':'user','content':'Which"
                + " river?'},{'role':'assistant','content':'The Elbe.'}]}",
            "{'messages':[{'role':'user','content':'Which river?'}]}",
            "{'messages':[{'role':'user','content':'x'},{'role':'assistant','content':null,'tool_calls':[{'id':'1'}]}]}");
    Demonstration demonstration = collected.only(Demonstration.class);
    assertEquals(
        List.of(QUESTION, new Turn(Role.ASSISTANT, "The Elbe.")), demonstration.getDialogue());
    assertEquals("messages", demonstration.getSource());
    assertEquals(List.of("invalid", "invalid"), collected.reasons());
  }

  @Test
  void promptsAndCompletionsAsTextsAndMessages() throws IOException {
    CollectedRecords collected =
        read(
            "{'prompt':'Which river?','completion':'The Elbe.'}",
            "{'prompt':[{'role':'user','content':'Which"
                + " river?'}],'completion':[{'role':'assistant','content':'The Elbe.'}]}");
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    assertEquals(collected.records.get(0), collected.records.get(1));
  }

  @Test
  void plainTexts() throws IOException {
    Demonstration demonstration = read("{'text':'flour and water'}").only(Demonstration.class);
    assertEquals(List.of(new Turn(Role.ASSISTANT, "flour and water")), demonstration.getDialogue());
  }

  @Test
  void shareGpt() throws IOException {
    CollectedRecords collected =
        read(
            "{'id':'x','system':'Be brief.','conversations':[{'from':'human','value':'Which"
                + " river?'},{'from':'gpt','value':'The Elbe.'}]}",
            "{'conversations':[{'from':'human','value':'Hi'},{'from':'function_call','value':'f()'}]}",
            "{'conversations':[{'from':'gpt','value':'I begin.'},{'from':'human','value':'Hi'}]}",
            "{'conversations':'Hi'}");
    Demonstration demonstration = collected.only(Demonstration.class);
    assertEquals(
        List.of(
            new Turn(Role.SYSTEM, "Be brief."), QUESTION, new Turn(Role.ASSISTANT, "The Elbe.")),
        demonstration.getDialogue());
    assertTrue(demonstration.getId().startsWith("sharegpt-"), demonstration.getId());
    assertEquals(List.of("invalid", "invalid", "invalid"), collected.reasons());
    assertTrue(
        collected.refusals.getFirst().message().startsWith("conversations[1].from is "),
        collected.refusals.toString());
  }

  @Test
  void alpacaWithSystemAndHistory() throws IOException {
    CollectedRecords collected =
        read(
            "[{'instruction':'Translate.','input':'Fluss','output':'river','system':'Be brief.',",
            "  'history':[['Hi','Hello.']]},",
            " {'instruction':'Say hi.','input':'','output':'Hi.'},",
            " {'instruction':'Say hi.','output':7}]");
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    assertEquals(
        List.of(
            new Turn(Role.SYSTEM, "Be brief."),
            new Turn(Role.USER, "Hi"),
            new Turn(Role.ASSISTANT, "Hello."),
            new Turn(Role.USER, "Translate.\n\nFluss"),
            new Turn(Role.ASSISTANT, "river")),
        ((Demonstration) collected.records.getFirst()).getDialogue());
    assertEquals(List.of("invalid"), collected.reasons());
    assertEquals("element", collected.refusals.getFirst().unit());
    assertEquals(3, collected.refusals.getFirst().number());
  }

  @Test
  void ultraFeedbackGivesAJudgmentForEachTwoDifferentScores() throws IOException {
    CollectedRecords collected =
        read(
            "{'source':'evol','instruction':'Which river?','completions':["
                + "{'response':'The Elbe.','fine-grained_score':4.75,'overall_score':1},"
                + "{'response':'A river.','fine-grained_score':3.0,'overall_score':10},"
                + "{'response':'Some river.','fine-grained_score':3.0,'overall_score':5},"
                + "{'response':'None.','fine-grained_score':1.5,'overall_score':2},"
                + "{'response':'?','overall_score':'N/A'}]}",
            "{'instruction':'q','completions':[{'response':'a','overall_score':9},{'response':'b','overall_score':1}]}",
            "{'instruction':'q','completions':[{'response':'a','overall_score':5},{'response':'b','overall_score':5}]}");
    // One completion of the first row lacks the fine score, so the overall score counts.
    assertEquals(List.of("invalid", "no-preference"), collected.reasons());
    assertEquals(6 + 1, collected.records.size());
    Judgment first = (Judgment) collected.records.getFirst();
    assertChoice("A river.", "The Elbe.", first);
    assertEquals(Rating.SIGNIFICANTLY_BETTER, first.getRating());
    assertEquals("evol", first.getSource());

    CollectedRecords fine =
        read(
            "{'instruction':'Which river?','completions':["
                + "{'response':'The Elbe.','fine-grained_score':4.75,'overall_score':1},"
                + "{'response':'A river.','fine-grained_score':3.0,'overall_score':10},"
                + "{'response':'Some river.','fine-grained_score':3.0},"
                + "{'response':'None.','fine-grained_score':2.8}]}");
    assertEquals(5, fine.records.size());
    assertChoice("The Elbe.", "A river.", (Judgment) fine.records.getFirst());
    assertEquals(Rating.BETTER, ((Judgment) fine.records.getFirst()).getRating());
    assertEquals(
        Rating.NEGLIGIBLY_BETTER_OR_UNSURE, ((Judgment) fine.records.getLast()).getRating());
  }

  @Test
  void pkuSafeRlhfGivesAJudgmentForEachObjective() throws IOException {
    Path file =
        write(
            "{'prompt':'Which river?','response_0':'The Elbe.','response_1':'None.',"
                + "'is_response_0_safe':false,'is_response_1_safe':true,'better_response_id':0,'safer_response_id':1}",
            "{'prompt':'p','response_0':'a','response_1':'b','better_response_id':2,'safer_response_id':1}");
    CollectedRecords both =
        CollectedRecords.of(file, null, Settings.at(CollectedRecords.NOW), Bounds.DEFAULT);
    assertEquals(2, both.records.size(), both.refusals.toString());
    assertEquals(List.of("invalid"), both.reasons());
    Judgment helpfulness = (Judgment) both.records.get(0);
    Judgment safety = (Judgment) both.records.get(1);
    assertEquals(Objective.HELPFULNESS, helpfulness.getObjective());
    assertEquals(Preferred.A, helpfulness.getPreferred());
    assertEquals(Objective.SAFETY, safety.getObjective());
    assertEquals(Preferred.B, safety.getPreferred());
    assertEquals(true, safety.getResponseA().getUnsafe());
    assertEquals(false, safety.getResponseB().getUnsafe());
    CollectedRecords one =
        CollectedRecords.of(
            file, null, Settings.at(CollectedRecords.NOW).with(Objective.SAFETY), Bounds.DEFAULT);
    assertEquals(safety, one.records.getFirst());
  }

  @Test
  void helpSteerOneGivesScores() throws IOException {
    CollectedRecords collected =
        read(
            "{'prompt':'Which river?','response':'The Elbe.','helpfulness':3,'correctness':4}",
            "{'prompt':'a<extra_id_1>Assistant\\n"
                + "b\\n"
                + "<extra_id_1>User\\n"
                + "c','response':'d','helpfulness':0}",
            "{'prompt':'p','response':'r','helpfulness':5}");
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    Feedback feedback = (Feedback) collected.records.getFirst();
    assertEquals(0.75f, feedback.getScore());
    assertNull(feedback.getLabel());
    assertEquals(
        List.of(new Turn(Role.USER, "a"), new Turn(Role.ASSISTANT, "b"), new Turn(Role.USER, "c")),
        ((Feedback) collected.records.get(1)).getDialogue());
    assertEquals(List.of("invalid"), collected.reasons());
  }

  @Test
  void helpSteerTwoAndThreeGiveJudgments() throws IOException {
    CollectedRecords collected =
        read(
            "{'prompt':'Which river?','response_1':'The"
                + " Elbe.','response_2':'None.','preference_strength':-3}",
            "{'context':[{'role':'user','content':'Which"
                + " river?'}],'response1':'None.','response2':'The Elbe.','overall_preference':1}",
            "{'prompt':'p','response_1':'a','response_2':'b','preference_strength':0}",
            "{'prompt':'p','response_1':'a','response_2':'b','preference_strength':-100}");
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    Judgment first = (Judgment) collected.records.get(0);
    assertEquals(Preferred.A, first.getPreferred());
    assertEquals(Rating.SIGNIFICANTLY_BETTER, first.getRating());
    Judgment second = (Judgment) collected.records.get(1);
    assertChoice("The Elbe.", "None.", second);
    assertEquals(Rating.SLIGHTLY_BETTER, second.getRating());
    assertEquals(List.of("no-preference", "invalid"), collected.reasons());
  }

  @Test
  void ktoLabelsBecomeFeedback() throws IOException {
    CollectedRecords collected =
        read(
            "{'prompt':'Which river?','completion':'The Elbe.','label':true}",
            "{'prompt':[{'role':'user','content':'Which"
                + " river?'}],'completion':[{'role':'assistant','content':'None.'}],'label':false}",
            "{'prompt':'p','completion':'c','label':1}");
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    assertEquals(Label.UP, ((Feedback) collected.records.get(0)).getLabel());
    assertEquals(Label.DOWN, ((Feedback) collected.records.get(1)).getLabel());
    assertEquals(List.of(QUESTION), ((Feedback) collected.records.get(1)).getDialogue());
    assertEquals(List.of("invalid"), collected.reasons());
  }

  @Test
  void promptsFromCsv() throws IOException {
    Path file =
        Files.writeString(
            directory.resolve("data"),
            "\uFEFFprompt,system,is_safety\r\n"
                + "Which river?,,\r\n"
                + "\"Two lines,\nand \"\"quotes\"\"\",Be brief.,true\r\n"
                + "too,many,cells,here\r\n"
                + ",,\r\n"
                + "\"never closed,x\r\n");
    CollectedRecords collected = CollectedRecords.of(file);
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    assertEquals(List.of(QUESTION), ((Prompt) collected.records.get(0)).getDialogue());
    Prompt second = (Prompt) collected.records.get(1);
    assertEquals(
        List.of(
            new Turn(Role.SYSTEM, "Be brief."), new Turn(Role.USER, "Two lines,\nand \"quotes\"")),
        second.getDialogue());
    assertTrue(second.getIsSafety());
    assertEquals(List.of("bad-json", "invalid", "bad-json"), collected.reasons());
    assertEquals(List.of(5L, 6L, 7L), collected.refusals.stream().map(Refusal::number).toList());
  }

  @Test
  void labelStudioPairwise() throws IOException {
    CollectedRecords collected =
        read(
            "[{'id':7,'data':{'prompt':'Which river?','answer1':'The"
                + " Elbe.','answer2':'None.'},'annotations':[",
            " {'id':70,'completed_by':{'email':'a@example.org','id':3},'created_at':'2025-05-01T10:00:00.5Z','was_cancelled':false,'result':[",
            "  {'type':'pairwise','from_name':'c','to_name':'answer1,answer2','value':{'selected':'left'}},",
            "  {'type':'choices','from_name':'degree','value':{'choices':['Significantly"
                + " better']}}]},",
            " {'id':71,'completed_by':4,'result':[{'type':'pairwise','value':{'selected':'right'}}]},",
            " {'id':72,'completed_by':5,'was_cancelled':true,'result':[]},",
            " {'id':73,'completed_by':6,'result':[]}]},",
            " {'id':8,'data':{'prompt':'p','answer1':'a','answer2':'b'},'annotations':[]}]");
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    Judgment first = (Judgment) collected.records.get(0);
    assertEquals(List.of(QUESTION), first.getDialogue());
    assertEquals(Preferred.A, first.getPreferred());
    assertEquals("a@example.org", first.getAnnotator());
    assertEquals(Rating.SIGNIFICANTLY_BETTER, first.getRating());
    assertEquals(Instant.parse("2025-05-01T10:00:00.500Z"), first.getTime());
    Judgment second = (Judgment) collected.records.get(1);
    assertEquals(Preferred.B, second.getPreferred());
    assertEquals("4", second.getAnnotator());
    assertEquals(List.of("not-submitted", "no-preference", "no-preference"), collected.reasons());
  }

  @Test
  void labelStudioMinimal() throws IOException {
    Judgment judgment =
        read("[{'id':7,'annotator':3,'annotation_id':70,'prompt':'Which river?','answer1':'The"
                + " Elbe.','answer2':'None.','c':[{'selected':'right'}]}]")
            .only(Judgment.class);
    assertChoice("None.", "The Elbe.", judgment);
    assertEquals("3", judgment.getAnnotator());
  }

  @Test
  void argillaRankingsAndLabels() throws IOException {
    String fields =
        "'fields':{'prompt':'Which river?','response1':'The Elbe.','response2':'None.'}";
    CollectedRecords collected =
        read(
            // Version 1.
            "{%s,'responses':[{'user_id':'u1','status':'submitted','values':{'preference':{'value':[{'value':'response1','rank':2},{'value':'response2','rank':1}]},'comment':{'value':'ok'}}},"
                    .formatted(fields)
                + "{'user_id':'u2','status':'discarded','values':{'preference':{'value':[{'value':'response1','rank':2},{'value':'response2','rank':1}]}}}]}",
            // Version 2.
            "{'id':'x',%s,'metadata':{'source':'maps'},'suggestions':{'preference':{'value':'response2'}},'responses':{'preference':[{'value':'response1','user_id':'u3'}]}}"
                .formatted(fields),
            // Version 2, flattened.
            "{'id':'y','prompt':'Which river?','response1':'The"
                + " Elbe.','response2':'None.','preference.responses':[['response1','response2']],'preference.responses.users':['u4'],'preference.responses.status':['submitted']}",
            "{%s,'responses':{'comment':[{'value':'fine','user_id':'u3'}]}}".formatted(fields),
            "{%s,'responses':{'preference':[{'value':[{'value':'response1','rank':1},{'value':'response2','rank':1}],'user_id':'u3'}]}}"
                .formatted(fields));
    assertEquals(3, collected.records.size(), collected.refusals.toString());
    assertChoice("None.", "The Elbe.", (Judgment) collected.records.get(0));
    assertEquals("u1", ((Judgment) collected.records.get(0)).getAnnotator());
    assertChoice("The Elbe.", "None.", (Judgment) collected.records.get(1));
    assertEquals("maps", ((Judgment) collected.records.get(1)).getSource());
    assertChoice("The Elbe.", "None.", (Judgment) collected.records.get(2));
    assertEquals("u4", ((Judgment) collected.records.get(2)).getAnnotator());
    assertEquals(List.of("not-submitted", "no-preference", "no-preference"), collected.reasons());
  }

  @Test
  void ownRecordsAreReadAsTheyAre() throws IOException {
    CollectedRecords collected =
        read(
            "{'promptId':'p1','dialogue':[{'role':'USER','content':'Which river?'}]}",
            "{'promptId':'p2','dialogue':[]}",
            "{'judgmentId':'j1','objective':'SAFETY','dialogue':[{'role':'USER','content':'q'}],'responseA':{'text':'a'},'responseB':{'text':'a'},'preferred':'A','rating':'BETTER'}");
    assertEquals("p1", collected.only(Prompt.class).getPromptId());
    assertEquals(Map.of("invalid", 1L, "same-responses", 1L), collected.report.refused());
  }

  @Test
  void aFileOfSeveralFormatsIsAmbiguousAndOneOfNoneIsNot() throws IOException {
    Path mixed =
        write(
            "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'}]}",
            "{'conversations':[{'from':'human','value':'a'},{'from':'gpt','value':'b'}]}");
    String message = assertThrows(IOException.class, () -> CollectedRecords.of(mixed)).getMessage();
    assertTrue(
        message.contains(
            "is ambiguous: line 1 has the fields messages, which fits messages; line 2 has the"
                + " fields conversations, which fits sharegpt; name one with --format"),
        message);
    // A named format imports its rows, and refuses the others.
    CollectedRecords named =
        CollectedRecords.of(mixed, "sharegpt", Settings.at(CollectedRecords.NOW), Bounds.DEFAULT);
    assertEquals(1, named.records.size());
    assertEquals(List.of("invalid"), named.reasons());

    Path strange = write("{'question':'a','answer':'b'}");
    message = assertThrows(IOException.class, () -> CollectedRecords.of(strange)).getMessage();
    assertTrue(
        message.contains(
            "line 1 has the fields question, answer, which fits no format; the formats are:"
                + " hh-rlhf"),
        message);
    for (String name : Formats.names()) {
      assertTrue(message.contains(name), name);
    }
    Path empty = write("");
    message = assertThrows(IOException.class, () -> CollectedRecords.of(empty)).getMessage();
    assertTrue(message.contains("it has no rows"), message);
  }
}

#include <gtest/gtest.h>

#include <string>

#include "core/answer/handler_responder.h"
#include "support/conversation.h"

namespace ksocket {
namespace {

using test::Lines;

std::string path(const std::string& name) {
  return KSOCKET_HANDLERS + name + ".so";
}

std::unique_ptr<Handler> load(const std::string& name, const std::string& argument = "") {
  std::string error;
  auto out = Handler::load(path(name), argument, &error);
  EXPECT_NE(out, nullptr) << error;
  return out;
}

std::string refusal(const std::string& file, const std::string& argument = "") {
  std::string error = "none";
  EXPECT_EQ(Handler::load(file, argument, &error), nullptr);
  return error;
}

// A server with a handler.
struct Talk : test::Conversation<HandlerResponder> {
  explicit Talk(const std::string& name, const std::string& argument = "")
      : Conversation(load(name, argument), 7, uint8_t{4}, uint16_t{2325}, false) {}
};

TEST(Handler, answers_each_datagram_of_a_batch) {
  Talk talk("upper", "> ");
  EXPECT_EQ(talk.hear(1, "one").hear(2, "").hear(3, "aabbc", 2).answers(),
            (Lines{"1: > ONE", "2: > ", "3: > AA", "3: > BB", "3: > C"}));
  EXPECT_EQ(talk.hear(1, "?").answers(), Lines{"1: 5"});
  EXPECT_EQ(talk.counters[Counter::replies], 6u);
  EXPECT_TRUE(talk.delivered.empty());
}

TEST(Handler, may_answer_often_or_not_at_all) {
  Talk talk("tester");
  EXPECT_EQ(talk.hear(1, "2 x").hear(2, "none").hear(3, "y").answers(), (Lines{"1: x", "1: x", "3: y"}));
}

TEST(Handler, hands_on_to_javascript_what_it_likes) {
  Talk talk("tester");
  EXPECT_EQ(talk.hear(1, "x").hear(2, "js").hear(3, "jsjs", 2).answers(), Lines{"1: x"});
  EXPECT_EQ(talk.delivered, (Lines{"js", "js", "js"}));
}

TEST(Handler, does_not_answer_who_only_answers) {
  Talk talk("upper");
  EXPECT_EQ(talk.hear(1, "one").hear(2325, "itself").hear(0, "nobody").answers(), Lines{"1: ONE"});
  EXPECT_EQ(talk.counters[Counter::loop_sources], 2u);
}

TEST(Handler, is_told_what_is_out_of_range) {
  Talk talk("tester");
  EXPECT_EQ(talk.hear(1, "wild").hear(2, "big 65508").answers(), (Lines{"1: tame", "2: refused"}));
  auto longest = talk.hear(1, "big 65507").answers();
  ASSERT_EQ(longest.size(), 1u);
  EXPECT_EQ(longest[0].size(), 65507u + 3);
  EXPECT_TRUE(talk.delivered.empty());
}

// More replies than the scratch memory holds: the earlier ones leave first, and none is overwritten.
TEST(Handler, may_answer_more_than_is_kept_at_once) {
  Talk talk("tester");
  for (uint16_t i = 1; i <= 64; i++) talk.hear(i, "big " + std::to_string(60000 + i));
  auto answers = talk.answers();
  ASSERT_EQ(answers.size(), 64u);
  for (size_t i = 0; i < answers.size(); i++) {
    std::string head = std::to_string(i + 1) + ": ";
    EXPECT_EQ(answers[i], head + std::string(60001 + i, '!'));
  }
}

TEST(Handler, that_cannot_be_loaded_says_why) {
  EXPECT_NE(refusal("/no/such/file.so").find("No such file"), std::string::npos);
  EXPECT_NE(refusal("no-slash.so").find("./no-slash.so"), std::string::npos);
  EXPECT_NE(refusal(path("nothing")).find("ksocket_get_handler"), std::string::npos);
  EXPECT_NE(refusal(path("later_version")).find("version 2"), std::string::npos);
  EXPECT_EQ(refusal(path("talkative")), path("talkative") + ": " + std::string(255, 'x'));
  EXPECT_NE(refusal(path("upper"), std::string(100, 'x')).find("longer than 63 bytes"), std::string::npos);
}

}  // namespace
}  // namespace ksocket

//! Scores of texts and of choices against slow definitions.

use sip_eval::{Judge, LikelihoodError, Question, Questions, TextScore};
use sip_graph::Buffer;
use sip_kernels::{Simd, Threads};
use sip_model::tokenizer::{SpecialTokens, Tokenizer};
use sip_model::{Decoder, LlamaConfig, params};
use std::sync::Arc;

const TEXT: &str = "The people of the state gave the house of the people to the people of the other house. Who said that \
    the other people were of the state? The state said that: the house was theirs, and theirs was the house.";
const CONTEXT: usize = 16;

struct Setup {
    config: LlamaConfig,
    weights: Vec<Buffer>,
    tokenizer: Tokenizer,
}

fn setup() -> Setup {
    let tokenizer = Tokenizer::train(&[TEXT], 300).expect("tokenizer");
    let vocab_size = tokenizer.vocab_size();
    let config = LlamaConfig { vocab_size, max_seq_len: CONTEXT, ..LlamaConfig::preset("tiny").expect("preset") };
    let mut random = 1u64;
    let mut value = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as f32 / (1u64 << 31) as f32 - 0.5
    };
    let weights = params(&config)
        .iter()
        .map(|spec| Buffer::from((0..spec.len()).map(|_| value()).collect::<Vec<f32>>().as_slice()))
        .collect();
    Setup { config, weights, tokenizer }
}

impl Setup {
    fn decoder(&self) -> Decoder {
        let threads = Arc::new(Threads::new(2));
        Decoder::new(&self.config, self.weights.clone(), CONTEXT, threads, Simd::detect()).expect("decoder")
    }

    fn judge(&self, special: &SpecialTokens) -> Judge {
        Judge::new(self.decoder(), self.tokenizer.clone(), special)
    }

    /// ln p of the last token after the others: a softmax in f64 over the logits.
    fn log_likelihood(&self, tokens: &[u32]) -> f64 {
        let (last, before) = tokens.split_last().expect("tokens");
        let mut decoder = self.decoder();
        let logits: Vec<f64> =
            decoder.feed(before).expect("logits").iter().map(|&bits| f64::from(f32::from_bits(bits))).collect();
        logits[*last as usize] - logits.iter().map(|logit| logit.exp()).sum::<f64>().ln()
    }
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-5 * expected.abs()
}

#[test]
fn every_token_counts_once_and_sees_what_its_window_holds() {
    let setup = setup();
    let mut judge = setup.judge(&SpecialTokens::document());
    let tokens = [vec![0], setup.tokenizer.encode(TEXT).expect("tokens")].concat();
    let count = tokens.len() - 1;
    assert!(count > 3 * CONTEXT && !count.is_multiple_of(CONTEXT));
    for stride in [CONTEXT, 5, 1] {
        let mut expected = 0.0;
        for at in 1..=count {
            // The window that scores this token ends at the first end not before it.
            let end = (0..).map(|window| CONTEXT + window * stride).find(|&end| end >= at).unwrap_or(at).min(count);
            expected += setup.log_likelihood(&tokens[end.saturating_sub(CONTEXT)..=at]);
        }
        let mut seen = Vec::new();
        let found = judge.score(TEXT, stride, &mut |done, all| seen.push((done, all))).expect("score");
        assert_eq!((found.tokens, found.bytes), (count, TEXT.len()));
        assert!(close(found.log_likelihood, expected), "{} for {expected}", found.log_likelihood);
        assert_eq!(seen.last(), Some(&(count, count)));
    }
    // A text that is shorter than a window.
    let short = judge.score("The house", CONTEXT, &mut |_, _| ()).expect("score");
    let tokens = [vec![0], setup.tokenizer.encode("The house").expect("tokens")].concat();
    let expected: f64 = (1..tokens.len()).map(|at| setup.log_likelihood(&tokens[..=at])).sum();
    assert!(close(short.log_likelihood, expected));
}

#[test]
fn the_measures_are_those_of_the_sum() {
    let score = TextScore { tokens: 4, bytes: 10, log_likelihood: -8.0 * std::f64::consts::LN_2 };
    assert!(close(score.loss(), 2.0 * std::f64::consts::LN_2));
    assert!(close(score.perplexity(), 4.0));
    assert!(close(score.bits_per_byte(), 0.8));
    let mut sum = TextScore::default();
    sum += score;
    sum += score;
    assert_eq!((sum.tokens, sum.bytes, sum.loss()), (8, 20, score.loss()));
}

#[test]
fn a_choice_is_scored_by_the_tokens_that_it_adds() {
    let setup = setup();
    let choices = ["the house".to_owned(), "theirs".to_owned(), "other people of that".to_owned()];
    for special in [SpecialTokens::document(), SpecialTokens { end: vec![0], ..SpecialTokens::default() }] {
        let mut judge = setup.judge(&special);
        for (context, bare) in
            [("The state said", "The state said"), ("The state said  ", "The state said"), (TEXT, TEXT)]
        {
            let found = judge.log_likelihoods(context, &choices).expect("log-likelihoods");
            for (choice, found) in choices.iter().zip(found) {
                let encode = |text: &str| {
                    let begin: Vec<u32> = special.begin.into_iter().collect();
                    [begin, setup.tokenizer.encode(text).expect("tokens")].concat()
                };
                let (whole, seen) = (encode(&format!("{context} {choice}")), encode(bare).len());
                let start = (whole.len() - 1).saturating_sub(CONTEXT);
                let expected: f64 = (seen..whole.len()).map(|end| setup.log_likelihood(&whole[start..=end])).sum();
                assert!(close(found, expected), "{choice:?} after {context:?}: {found} for {expected}");
            }
        }
        // Without a context, the token that begins or ends texts stands before the choice.
        let found = judge.log_likelihoods("", &choices).expect("log-likelihoods");
        let tokens = [vec![0], setup.tokenizer.encode(" the house").expect("tokens")].concat();
        let expected: f64 = (1..tokens.len()).map(|at| setup.log_likelihood(&tokens[..=at])).sum();
        assert!(close(found[0], expected));
    }
}

#[test]
fn answers_are_the_likeliest_choices_in_sum_per_character_and_per_byte() {
    let setup = setup();
    let mut judge = setup.judge(&SpecialTokens::document());
    let choices = ["the house".to_owned(), "theirs".to_owned(), "other people of that state".to_owned()];
    let sums = judge.log_likelihoods("The state said", &choices).expect("log-likelihoods");
    let best = |values: Vec<f64>| (0..3).max_by(|&a, &b| values[a].total_cmp(&values[b])).expect("a choice");
    let by_sum = best(sums.clone());
    let per_byte = best(sums.iter().zip(&choices).map(|(sum, choice)| sum / choice.len() as f64).collect());
    let question = |answer| Question { context: "The state said".into(), choices: choices.to_vec(), answer };
    let questions = [question(0), question(1), question(2)];
    let mut seen = 0;
    let score = judge.answer(&questions, &mut |number| seen = number).expect("answers");
    assert_eq!((score.questions, score.right, score.right_per_byte, seen), (3, 1, 1, 3));
    assert_eq!(judge.answer(&[question(by_sum)], &mut |_| ()).expect("answer").right, 1);
    assert_eq!(judge.answer(&[question(per_byte)], &mut |_| ()).expect("answer").accuracy_per_byte(), 1.0);
    // The harness divides by characters, of which some have several bytes.
    let choices = ["éé", "zz", "q"].map(str::to_owned);
    let sums = judge.log_likelihoods("The", &choices).expect("log-likelihoods");
    let normed = |length: fn(&String) -> usize| {
        best(sums.iter().zip(&choices).map(|(sum, choice)| sum / length(choice) as f64).collect())
    };
    let question = |answer| Question { context: "The".into(), choices: choices.to_vec(), answer };
    let (per_character, per_byte) = (normed(|choice| choice.chars().count()), normed(String::len));
    assert_ne!(per_character, per_byte, "the choices tell nothing: {sums:?}");
    for answer in 0..3 {
        let score = judge.answer(&[question(answer)], &mut |_| ()).expect("answer");
        assert_eq!(score.accuracy_per_character() == 1.0, answer == per_character);
        assert_eq!(score.accuracy_per_byte() == 1.0, answer == per_byte);
    }
    // Of equal choices the first counts.
    let equal = |answer| Question { context: "The".into(), choices: vec!["house".into(); 2], answer };
    assert_eq!(judge.answer(&[equal(0), equal(1)], &mut |_| ()).expect("answers").accuracy(), 0.5);
}

#[test]
fn what_cannot_be_scored_is_named() {
    let setup = setup();
    let mut judge = setup.judge(&SpecialTokens::document());
    assert!(matches!(judge.score("", CONTEXT, &mut |_, _| ()), Err(LikelihoodError::Empty)));
    for stride in [0, CONTEXT + 1] {
        assert!(matches!(judge.score(TEXT, stride, &mut |_, _| ()), Err(LikelihoodError::Stride { .. })));
    }
    let long = Question { context: "The".into(), choices: vec!["house".into(), TEXT.into()], answer: 0 };
    let error = judge.answer(&[long], &mut |_| ()).expect_err("too long").to_string();
    assert!(error.starts_with("question 1: the choice has") && error.contains("context of 16"), "{error}");
    let mut silent = setup.judge(&SpecialTokens::default());
    assert!(matches!(silent.score(TEXT, CONTEXT, &mut |_, _| ()), Err(LikelihoodError::NoPrefix)));

    for (text, expected) in [
        ("", "there is no question"),
        ("{", "line 1: expected {\"context\""),
        ("\n{\"context\": \"a\", \"choices\": [\"b\"], \"answer\": 0}", "line 2: 1 choices, expected 2 to 1000"),
        (
            "{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 2}",
            "line 1: the answer is choice 2, expected 0 to 1",
        ),
        ("{\"context\": \"a\", \"choices\": [\"b\", \"\"], \"answer\": 0}", "line 1: choice 1 is empty"),
    ] {
        let error = Questions::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let more = "{\"id\": 7, \"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 0}";
    assert_eq!(Questions::parse(more).map(|questions| questions.len()).ok(), Some(1), "other keys do not matter");
    let error = Questions::load(std::path::Path::new("no such file")).expect_err("no file").to_string();
    assert!(error.starts_with("no such file: "), "{error}");
}

#[test]
fn the_committed_questions_are_questions() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/next_sentence.jsonl");
    let questions = Questions::load(&path).expect("questions");
    assert_eq!(questions.len(), 193);
    for question in questions.iter() {
        assert_eq!(question.choices.len(), 4);
        let mut choices = question.choices.clone();
        choices.sort();
        choices.dedup();
        assert_eq!(choices.len(), 4, "{question:?}");
    }
    for answer in 0..4 {
        assert!(questions.iter().filter(|question| question.answer == answer).count() >= 48);
    }
}

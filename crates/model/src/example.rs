//! Rows of tokens with marks: what fine-tuning learns from.

/// A prompt and the answer to it, as tokens; only the answer counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// What is given; may be empty, then the answer's first token is only context.
    pub prompt: Vec<u32>,
    /// What is learned, its end token included.
    pub response: Vec<u32>,
}

impl Example {
    /// Appends a row for a graph of `seq_len` positions: `seq_len` + 1 tokens, and a mark for each (1 for a token of the
    /// answer that is predicted).
    ///
    /// What is too long loses the beginning of the prompt first and then the end of the answer; what is short is filled
    /// with token 0, which does not count. At least one token of context stays.
    pub fn row(&self, seq_len: usize, row: &mut Vec<u32>) {
        let length = seq_len + 1;
        let answer = self.response.len().min(length.saturating_sub(usize::from(!self.prompt.is_empty())));
        let context = self.prompt.len().min(length - answer);
        let filling = length - context - answer;
        row.extend(&self.prompt[self.prompt.len() - context..]);
        row.extend(&self.response[..answer]);
        row.extend(std::iter::repeat_n(0, filling));
        // The first token of a row is predicted by nothing.
        let given = context.max(1).min(length);
        row.extend(std::iter::repeat_n(0, given));
        row.extend(std::iter::repeat_n(1, (context + answer).saturating_sub(given)));
        row.extend(std::iter::repeat_n(0, filling.min(length - given)));
    }

    /// Number of tokens that count in a row of `seq_len` positions.
    pub fn counted(&self, seq_len: usize) -> usize {
        let mut row = Vec::new();
        self.row(seq_len, &mut row);
        row[seq_len + 1..].iter().filter(|&&mark| mark == 1).count()
    }
}

/// A window of running text as a row: every token counts but the first.
pub fn text_row(window: &[u32], row: &mut Vec<u32>) {
    row.extend(window);
    row.extend((0..window.len()).map(|at| u32::from(at > 0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prompt: &[u32], response: &[u32], seq_len: usize) -> Vec<u32> {
        let mut row = Vec::new();
        Example { prompt: prompt.into(), response: response.into() }.row(seq_len, &mut row);
        row
    }

    #[test]
    fn rows_mark_the_answer_alone_and_cut_the_prompt_first() {
        assert_eq!(row(&[1, 2], &[3, 4], 5), [1, 2, 3, 4, 0, 0, 0, 0, 1, 1, 0, 0]);
        assert_eq!(row(&[1, 2, 3], &[4, 5], 3), [2, 3, 4, 5, 0, 0, 1, 1]);
        assert_eq!(row(&[1, 2, 3], &[4, 5, 6, 7], 3), [3, 4, 5, 6, 0, 1, 1, 1]);
        assert_eq!(row(&[], &[4, 5, 6, 7], 2), [4, 5, 6, 0, 1, 1]);
        assert_eq!(row(&[], &[4], 2), [4, 0, 0, 0, 0, 0]);
        assert_eq!(row(&[1], &[], 2), [1, 0, 0, 0, 0, 0]);
        assert_eq!(row(&[], &[], 2), [0; 6]);
        for (prompt, response, seq_len) in [(0, 0, 1), (9, 9, 1), (1, 9, 4), (9, 1, 4), (0, 9, 3), (2, 0, 8)] {
            assert_eq!(row(&vec![1; prompt], &vec![2; response], seq_len).len(), 2 * (seq_len + 1));
        }
    }

    #[test]
    fn text_counts_from_its_second_token_on() {
        let mut row = Vec::new();
        text_row(&[5, 6, 7], &mut row);
        assert_eq!(row, [5, 6, 7, 0, 1, 1]);
    }
}

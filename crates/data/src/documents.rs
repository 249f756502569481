//! Many texts in one place.

/// Texts that follow each other, in one piece of memory: of a short one little more is kept than what it is long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Documents {
    /// None, with room for texts of `bytes` in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Documents {
        Documents { text: String::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds one.
    pub fn push(&mut self, document: &str) {
        self.text.push_str(document);
        self.ends.push(self.text.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }

    /// All as one text, with `separator` between them.
    pub fn join(self, separator: &str) -> String {
        if self.ends.len() < 2 {
            return self.text;
        }
        let mut joined = String::with_capacity(self.text.len() + (self.ends.len() - 1) * separator.len());
        for (number, document) in self.iter().enumerate() {
            joined.push_str(if number == 0 { "" } else { separator });
            joined.push_str(document);
        }
        joined
    }

    /// Gives back what was asked for and not used.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl From<String> for Documents {
    fn from(text: String) -> Documents {
        let ends = vec![text.len()];
        Documents { text, ends }
    }
}

impl<'a> FromIterator<&'a str> for Documents {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Documents {
        let mut documents = Documents::default();
        texts.into_iter().for_each(|text| documents.push(text));
        documents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_as_they_were_and_join() {
        let documents: Documents = ["a", "", "bé"].into_iter().collect();
        assert_eq!(documents.iter().collect::<Vec<_>>(), ["a", "", "bé"]);
        assert_eq!((documents.len(), documents.is_empty()), (3, false));
        assert_eq!(documents.join("|"), "a||bé");
        assert_eq!(Documents::default().join("|"), "");
        assert_eq!(Documents::from("x".to_owned()).join("|"), "x");
    }
}

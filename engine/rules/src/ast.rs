//! What a rule says: the tree of its expression.

use std::sync::Arc;

use crate::error::Span;

/// A rule's expression as written: syntax only, nothing is known about its names.
///
/// `Display` prints it with the fewest parentheses, and parsing that gives an equal
/// expression again; `{:#}` prints every group in parentheses. Two expressions are
/// equal if they say the same, wherever they stood.
/// ```
/// let expr = rules::parse("($a + 2 * 3 > 1) and not_a_function() # why")?;
/// assert_eq!(expr.to_string(), "$a + 2 * 3 > 1 and not_a_function()");
/// assert_eq!(format!("{expr:#}"), "((($a + (2 * 3)) > 1) and not_a_function())");
/// # Ok::<(), rules::Errors>(())
/// ```
#[derive(Clone)]
pub struct Expr {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Literal(Literal),
    Variable(Box<str>),
    Not(Box<Expr>),
    /// Two or more conditions; a group in parentheses is one of them, not part of the chain.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Compare(Comparison, Box<[Expr; 2]>),
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    In(Box<Expr>, Membership),
    Call(Call),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(Arc<str>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// The right side of `in`, and whether `not` stands before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Membership {
    pub(crate) negated: bool,
    pub(crate) list: Among,
}

#[derive(Clone, Debug)]
pub(crate) enum Among {
    Inline(Vec<(Literal, Span)>),
    Named(Box<str>, Span),
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: Box<str>,
    pub(crate) name: Span,
    pub(crate) arguments: Vec<Expr>,
}

impl Expr {
    pub(crate) fn new(kind: Kind, span: Span) -> Self {
        let deepest = children(&kind)
            .iter()
            .map(|child| child.depth)
            .max()
            .unwrap_or(0);
        Self {
            kind,
            span,
            depth: deepest + 1,
        }
    }

    /// How many nodes lie on the longest way down, itself included.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The parts of this expression, left to right.
    pub(crate) fn children(&self) -> &[Expr] {
        children(&self.kind)
    }
}

fn children(kind: &Kind) -> &[Expr] {
    match kind {
        Kind::Null | Kind::Literal(_) | Kind::Variable(_) => &[],
        Kind::Not(inner) | Kind::In(inner, _) => std::slice::from_ref(inner),
        Kind::And(parts) | Kind::Or(parts) => parts,
        Kind::Compare(_, sides) | Kind::Arithmetic(_, sides) => &**sides,
        Kind::Call(call) => &call.arguments,
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for Among {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(a, _), Self::Named(b, _)) => a == b,
            (Self::Inline(a), Self::Inline(b)) => a
                .iter()
                .map(|(item, _)| item)
                .eq(b.iter().map(|(item, _)| item)),
            _ => false,
        }
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function && self.arguments == other.arguments
    }
}

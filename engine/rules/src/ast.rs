//! The syntax tree of a rule.

use std::sync::Arc;

use crate::error::Span;

/// The expression of a rule as it is written. Its names are not looked up yet.
///
/// `Display` prints it with as few parentheses as possible, and parsing that text gives
/// an equal expression; `{:#}` prints every group in parentheses. Equality ignores where
/// in the text the parts are.
/// ```
/// let expr = rules::parse_expression("($a + 2 * 3 > 1) and not_a_function() # why")?;
/// assert_eq!(expr.to_string(), "$a + 2 * 3 > 1 and not_a_function()");
/// assert_eq!(format!("{expr:#}"), "((($a + (2 * 3)) > 1) and not_a_function())");
/// # Ok::<(), rules::Errors>(())
/// ```
#[derive(Clone)]
pub struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ExprKind {
    Null,
    Literal(Literal),
    Variable(Box<str>),
    Not(Box<Expr>),
    /// Two or more conditions. A group in parentheses is one condition, even if it is
    /// another `and`.
    And(Vec<Expr>),
    /// As `And`.
    Or(Vec<Expr>),
    Compare(Comparison, Box<[Expr; 2]>),
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    In(Box<Expr>, Membership),
    Call(CallExpr),
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

/// The right side of `in` or `not in`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Membership {
    pub(crate) negated: bool,
    pub(crate) list: ListExpr,
}

/// The list on the right side of `in`.
#[derive(Clone, Debug)]
pub(crate) enum ListExpr {
    Inline(Vec<(Literal, Span)>),
    Named(Box<str>, Span),
}

#[derive(Clone, Debug)]
pub(crate) struct CallExpr {
    pub(crate) function: Box<str>,
    pub(crate) name: Span,
    pub(crate) arguments: Vec<Expr>,
}

impl Expr {
    pub(crate) fn new(kind: ExprKind, span: Span) -> Self {
        let deepest = list_children(&kind)
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

    /// The number of nodes on the longest path from this one to a leaf, both included.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The parts of this expression, left to right.
    pub(crate) fn children(&self) -> &[Expr] {
        list_children(&self.kind)
    }
}

fn list_children(kind: &ExprKind) -> &[Expr] {
    match kind {
        ExprKind::Null | ExprKind::Literal(_) | ExprKind::Variable(_) => &[],
        ExprKind::Not(inner) | ExprKind::In(inner, _) => std::slice::from_ref(inner),
        ExprKind::And(parts) | ExprKind::Or(parts) => parts,
        ExprKind::Compare(_, sides) | ExprKind::Arithmetic(_, sides) => &**sides,
        ExprKind::Call(call) => &call.arguments,
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for ListExpr {
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

impl PartialEq for CallExpr {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function && self.arguments == other.arguments
    }
}

//! Finds the numbers that a variable is compared with.

use crate::{
    ast::{Comparison, Expr, ExprKind, Literal},
    lists::as_float,
};

impl Expr {
    /// The numbers that `variable` (without `$`) is compared with by `<`, `<=`, `>` or
    /// `>=`: each once, in ascending order.
    ///
    /// ```
    /// let expr = rules::parse_expression("$score >= 900 or (500.5 < $score and $price > 7)")?;
    /// assert_eq!(expr.thresholds("score"), [500.5, 900.0]);
    /// # Ok::<(), rules::Errors>(())
    /// ```
    pub fn thresholds(&self, variable: &str) -> Vec<f64> {
        let mut found = Vec::new();
        self.visit(variable, &mut found);
        found.sort_by(f64::total_cmp);
        found.dedup_by(|a, b| a.total_cmp(b).is_eq());
        found
    }

    fn visit(&self, variable: &str, found: &mut Vec<f64>) {
        if let ExprKind::Compare(order, sides) = &self.kind
            && !matches!(order, Comparison::Equal | Comparison::NotEqual)
        {
            let [left, right] = &**sides;
            for (subject, limit) in [(left, right), (right, left)] {
                let is_subject =
                    matches!(&subject.kind, ExprKind::Variable(name) if **name == *variable);
                found.extend(number(limit).filter(|_| is_subject));
            }
        }
        for child in self.children() {
            child.visit(variable, found);
        }
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Literal(Literal::Integer(number)) => Some(as_float(*number)),
        ExprKind::Literal(Literal::Float(number)) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, want: &[f64]) {
        assert_eq!(
            crate::parse_expression(text).unwrap().thresholds("score"),
            want,
            "{text}"
        );
    }

    #[test]
    fn thresholds_are_numbers_beside_the_variable() {
        check("$score > 900", &[900.0]);
        check("700 <= $score and $score < 900.5", &[700.0, 900.5]);
        check("!($score >= 950) or ($a == 1 and $score > 950)", &[950.0]);
        check("$score > -1", &[-1.0]);
        check("$other > 900 and \"$score > 900\" == $text", &[]);
        check("$score != null and $score == 900 and $score in [1, 2]", &[]);
        check("$score * 2 > 900 and $score > $other", &[]);
    }
}

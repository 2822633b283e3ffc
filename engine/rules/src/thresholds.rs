//! Finds the numbers that a variable is compared with.

use crate::{
    ast::{Comparison, Expr, ExprKind, Literal},
    lists::convert_to_float,
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
        self.collect_thresholds(variable, &mut found);
        found.sort_by(f64::total_cmp);
        found.dedup_by(|a, b| a.total_cmp(b).is_eq());
        found
    }

    fn collect_thresholds(&self, variable: &str, found: &mut Vec<f64>) {
        if let ExprKind::Compare(order, sides) = &self.kind
            && !matches!(order, Comparison::Equal | Comparison::NotEqual)
        {
            let [left, right] = &**sides;
            for (subject, limit) in [(left, right), (right, left)] {
                let is_subject =
                    matches!(&subject.kind, ExprKind::Variable(name) if **name == *variable);
                found.extend(read_number_literal(limit).filter(|_| is_subject));
            }
        }
        for child in self.children() {
            child.collect_thresholds(variable, found);
        }
    }
}

fn read_number_literal(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Literal(Literal::Integer(number)) => Some(convert_to_float(*number)),
        ExprKind::Literal(Literal::Float(number)) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check_thresholds(text: &str, want: &[f64]) {
        assert_eq!(
            crate::parse_expression(text).unwrap().thresholds("score"),
            want,
            "{text}"
        );
    }

    #[test]
    fn thresholds_are_numbers_beside_the_variable() {
        check_thresholds("$score > 900", &[900.0]);
        check_thresholds("700 <= $score and $score < 900.5", &[700.0, 900.5]);
        check_thresholds("!($score >= 950) or ($a == 1 and $score > 950)", &[950.0]);
        check_thresholds("$score > -1", &[-1.0]);
        check_thresholds("$other > 900 and \"$score > 900\" == $text", &[]);
        check_thresholds("$score != null and $score == 900 and $score in [1, 2]", &[]);
        check_thresholds("$score * 2 > 900 and $score > $other", &[]);
    }
}

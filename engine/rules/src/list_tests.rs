//! Finds the lists that a rule looks variables up in.

use crate::ast::{Expr, ExprKind, ListExpr};

/// A test such as `$card in @blocked_cards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTest<'a> {
    /// The variable, without `$`.
    pub variable: &'a str,
    /// The list, without `@`.
    pub list: &'a str,
}

impl Expr {
    /// The variables that are looked up with `in @list`, each with its list, in the order of the text. A variable inside
    /// a function or a computation counts, too. `not in` does not.
    ///
    /// ```
    /// let expr = rules::parse_expression("lowercase($email) in @blocked and $zip not in @allowed")?;
    /// let tests = expr.list_tests();
    /// assert_eq!(tests, [rules::ListTest { variable: "email", list: "blocked" }]);
    /// # Ok::<(), rules::Errors>(())
    /// ```
    pub fn list_tests(&self) -> Vec<ListTest<'_>> {
        let mut found = Vec::new();
        self.collect_list_tests(&mut found);
        found
    }

    fn collect_list_tests<'a>(&'a self, found: &mut Vec<ListTest<'a>>) {
        if let ExprKind::In(subject, membership) = &self.kind
            && let (ListExpr::Named(list, _), false) = (&membership.list, membership.negated)
        {
            subject.visit_variables(&mut |variable| found.push(ListTest { variable, list }));
        }
        for child in self.children() {
            child.collect_list_tests(found);
        }
    }

    fn visit_variables<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        if let ExprKind::Variable(name) = &self.kind {
            visit(name);
        }
        for child in self.children() {
            child.visit_variables(visit);
        }
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check_list_tests(text: &str, want: &[(&str, &str)]) {
        let expr = crate::parse_expression(text).unwrap();
        let tests = expr.list_tests();
        let got: Vec<_> = tests.iter().map(|it| (it.variable, it.list)).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn list_tests_are_variables_beside_their_lists() {
        check_list_tests("$card in @cards", &[("card", "cards")]);
        check_list_tests(
            "$a in @x or ($price > 5 and uppercase($b) in @y)",
            &[("a", "x"), ("b", "y")],
        );
        check_list_tests("!($a in @x)", &[("a", "x")]);
        check_list_tests("$a not in @x and $b in [\"@x\"] and $c == \"in @x\"", &[]);
        check_list_tests("\"US\" in @countries", &[]);
    }
}

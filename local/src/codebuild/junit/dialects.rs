//! `JUnit` XML as test frameworks write it, each file in the words of its format's own documentation.

use super::*;

/// Status, microseconds, class, name and message of each case.
fn told(file: &str, text: &str) -> String {
    let line = |case: &TestCase| {
        let message = case.message.replace('\n', " | ");
        let micros = case.nanoseconds / 1_000;
        format!("{} {micros} [{}] {} {message}", case.status.name(), case.prefix, case.name)
            .trim_end()
            .to_owned()
    };
    parse(file, text).expect(file).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn pytest() {
    let wanted = "\
SUCCEEDED 1000 [tests.test_cart.TestCart] test_adds[1-2]
FAILED 2000 [tests.test_cart.TestCart] test_sums assert 3 == 4 | def test_sums(): | >       assert total([1, 2]) == 4 | E       assert 3 == 4 |  | tests/test_cart.py:7: AssertionError
SKIPPED 0 [tests.test_cart] test_ships no carrier | /src/tests/test_cart.py:11: no carrier
SKIPPED 1000 [tests.test_cart] test_refunds not yet
ERROR 3000 [tests.test_cart] test_pays failed on setup with \"OSError: no database\" | fixture failed
ERROR 0 [] tests.test_broken collection failure | ImportError: no module named shop";
    assert_eq!(told("pytest.xml", include_str!("pytest.xml")), wanted);
}

#[test]
fn jest() {
    let wanted = "\
FAILED 4000 [cart adds] cart adds twice Error: expect(received).toBe(expected) |  | Expected: 2 | Received: 1 |     at Object.<anonymous> (cart.test.js:5:17)
SKIPPED 0 [cart sums] cart sums nothing
SUCCEEDED 1000 [cart is] cart is empty
ERROR 0 [Test suite failed to run] pay.test.js Cannot find module './pay'";
    assert_eq!(told("jest-junit.xml", include_str!("jest-junit.xml")), wanted);
}

#[test]
fn surefire_with_reruns() {
    let wanted = "\
SUCCEEDED 1002500000 [shop.CartTest] timesOut failed before: expected: <1> but was: <0>
FAILED 10000 [shop.CartTest] adds expected: <2> but was: <1> | java.lang.AssertionError: expected: <2> but was: <1>
ERROR 0 [shop.CartTest]
SKIPPED 0 [shop.CartTest] ships no carrier";
    assert_eq!(told("surefire.xml", include_str!("surefire.xml")), wanted);
}

#[test]
fn gradle_with_retries_tells_each_try() {
    let wanted = "\
FAILED 12000 [shop.CartTest] timesOut() org.opentest4j.AssertionFailedError: late | late
SUCCEEDED 3000 [shop.CartTest] timesOut()";
    assert_eq!(told("gradle-retry.xml", include_str!("gradle-retry.xml")), wanted);
}

#[test]
fn nextest_with_retries() {
    let wanted = "\
FAILED 4000 [shop::cart] adds_twice thread 'adds_twice' panicked at tests/cart.rs:9:5 | assertion failed
SUCCEEDED 11000 [shop::cart] times_out failed before: timed out
SUCCEEDED 2000 [shop::cart] sums";
    assert_eq!(told("nextest.xml", include_str!("nextest.xml")), wanted);
}

#[test]
fn go() {
    let wanted = "\
FAILED 20000 [example.com/shop/cart] TestAdds Failed | cart_test.go:11: want 2, got 1
SUCCEEDED 130000 [example.com/shop/cart] TestAdds/twice
SKIPPED 0 [example.com/shop/cart] TestShips cart_test.go:20: no carrier";
    assert_eq!(told("go-junit-report.xml", include_str!("go-junit-report.xml")), wanted);
}

#[test]
fn phpunit_with_nested_suites() {
    let text = include_str!("phpunit.xml");
    let wanted = "\
SUCCEEDED 3000 [Shop.Tests.CartTest] testAdds with data set \"one\"
SUCCEEDED 1000 [Shop.Tests.CartTest] testAdds with data set #1
ERROR 2000 [Shop.Tests.CartTest] testPays Shop\\Tests\\CartTest::testPays | RuntimeException: no terminal
SKIPPED 0 [Shop.Tests.CartTest] testShips";
    assert_eq!(told("phpunit.xml", text), wanted);
    let cases = parse("phpunit.xml", text).expect("it is read");
    assert_eq!(
        (cases[1].suite.as_str(), cases[2].suite.as_str()),
        ("Shop\\Tests\\CartTest::testAdds", "Shop\\Tests\\CartTest")
    );
}

#[test]
fn googletest_with_a_disabled_test_and_a_decimal_comma() {
    let wanted = "\
FAILED 7000 [Cart] Adds cart.cc:6 | Expected equality of these values: |   1 |   2 | cart.cc:6 | Expected equality
SKIPPED 0 [Cart] DISABLED_Pays
SUCCEEDED 4000 [Cart] Sums";
    assert_eq!(told("googletest.xml", include_str!("googletest.xml")), wanted);
}

#[test]
fn a_suite_that_broke_before_its_first_case_does_not_look_green() {
    let wanted = "ERROR 0 [] shop.PayTest no terminal | java.lang.IllegalStateException: no terminal";
    assert_eq!(told("ant-suite-error.xml", include_str!("ant-suite-error.xml")), wanted);
}

#[test]
fn times_are_seconds_in_any_writing() {
    for (text, micros) in [
        ("0.25", 250_000),
        ("1,000.25", 1_000_250_000),
        ("0,25", 250_000),
        ("12,5", 12_500_000),
        ("1,234", 1_234_000_000),
        ("", 0),
        ("NaN", 0),
        ("-1", 0),
    ] {
        assert_eq!(nanoseconds(text) / 1_000, micros, "{text:?}");
    }
}

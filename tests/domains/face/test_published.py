from deepfield.domains.face import published


def test_others_stand_only_beside_the_ten_folds_of_view_2():
    folds = {str(fold): {"n": 600} for fold in range(1, 11)}
    told = published.figures(folds)
    assert told["FaceNet"]["metrics"] == {"accuracy": 0.9963}
    assert "View 2" in told["human"]["on"] and len(told) == 8
    assert not published.figures(dict(list(folds.items())[:9]))
    assert not published.figures(folds | {"3": {"n": 601}})
    assert not published.figures({})

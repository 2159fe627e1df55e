"What stands where something else belongs is told in a sentence."
import numpy as np
import pytest
from ulv_jax.data.errors import DataError
from ulv_jax.data.splits import keep_users
from ulv_jax.models.base import FORECAST, make_forecaster
from ulv_jax.models.prior import ULVPrior

def test_fit_and_predict_say_what_they_take(shop):
    learn, now = shop
    for wrong, word in ((now, 'a Snapshot'), (42, 'an? int'), (None, 'a NoneType')):
        with pytest.raises(DataError, match=f'fit takes a list of snapshots.*was given {word}'): make_forecaster('mean').fit(wrong)
    model = make_forecaster('mean').fit(learn)
    for wrong, word in ((now.rfm, 'a DataFrame'), (learn, 'a (TrainingSet|list|tuple)')):
        with pytest.raises(DataError, match=f'predict takes a snapshot.*was given {word}'): model.predict(wrong)

@pytest.mark.parametrize('name', ['mean', 'pareto_nbd', 'lightgbm', 'prior', 'offset_trees', 'blend'])
def test_nobody_is_asked_about(shop, name):
    learn, now = shop
    model = make_forecaster(name).fit(learn)
    nobody = keep_users(now, np.zeros(len(now), bool))
    assert model.predict(nobody).shape == (0, len(FORECAST)) and len(model.quantiles(nobody)) == 0

def test_a_prior_wants_a_shop_with_customers(shop):
    nobody = keep_users(shop[1], np.zeros(len(shop[1]), bool))
    with pytest.raises(DataError, match='no customer to show'): ULVPrior().predict(nobody)

"What stands where something else belongs is told in a sentence."
import pytest
from ulv_jax.data.errors import DataError
from ulv_jax.models.base import make_forecaster

def test_fit_and_predict_say_what_they_take(shop):
    learn, now = shop
    for wrong, word in ((now, 'a Snapshot'), (42, 'an? int'), (None, 'a NoneType')):
        with pytest.raises(DataError, match=f'fit takes a list of snapshots.*was given {word}'): make_forecaster('mean').fit(wrong)
    model = make_forecaster('mean').fit(learn)
    for wrong, word in ((now.rfm, 'a DataFrame'), (learn, 'a (TrainingSet|list|tuple)')):
        with pytest.raises(DataError, match=f'predict takes a snapshot.*was given {word}'): model.predict(wrong)

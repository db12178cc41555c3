"""What `train_voice.py` does: makes a small voice of a corpus, and says how well it speaks.

prepare.py makes a dataset of a corpus (dataset.py reads it), training.py is the loop that both
models are trained in, by the tasks of acoustic_task.py and vocoder.py; evaluate.py measures, and
package.py writes a voice folder. commands.py lists the commands. The folder `voice` is what came of
it.
"""

"""loraexample: A Flower / PEFT app."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from loraexample.task import get_model, get_weights, load_data, set_weights
from loraexample.task import test as test_fn
from loraexample.task import train as train_fn

# Flower ClientApp
app = ClientApp()


@app.train()
def train(msg: Message, context: Context):
    """Train the adapters on local data."""
    rank = context.run_config["lora-rank"]
    model = get_model(rank)
    set_weights(model, msg.content["arrays"].to_torch_state_dict(), rank)
    words, labels = load_data(context.node_config["partition-id"])
    loss = train_fn(model, words, labels, context.run_config["learning-rate"])
    metrics = MetricRecord({"train_loss": loss, "num-examples": len(labels)})
    arrays = ArrayRecord(get_weights(model, rank))
    return Message(content=RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on held-out data."""
    rank = context.run_config["lora-rank"]
    model = get_model(rank)
    set_weights(model, msg.content["arrays"].to_torch_state_dict(), rank)
    words, labels = load_data(context.node_config["partition-id"], test=True)
    loss, accuracy = test_fn(model, words, labels)
    metrics = {"eval_loss": loss, "accuracy": accuracy, "num-examples": len(labels)}
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)

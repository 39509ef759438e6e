"""headexample: A Flower / PyTorch app."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from headexample.task import Net, load_data
from headexample.task import test as test_fn
from headexample.task import train as train_fn

# Flower ClientApp
app = ClientApp()


def load_model(msg: Message, context: Context) -> Net:
    """Put the received body on the head that this client has kept."""
    model = Net()
    model.body.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    if "head" in context.state.array_records:
        model.head.load_state_dict(context.state["head"].to_torch_state_dict())
    return model


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    model = load_model(msg, context)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")

    # Load the data
    partition_id = context.node_config["partition-id"]
    num_partitions = context.node_config["num-partitions"]
    trainloader, _ = load_data(partition_id, num_partitions, context.run_config["batch-size"])

    # Call the training function
    train_loss = train_fn(
        model,
        trainloader,
        context.run_config["local-epochs"],
        msg.content["config"]["lr"],
        device,
    )

    # The head stays with this client
    context.state["head"] = ArrayRecord(model.head.state_dict())
    rounds = context.state.get("progress", MetricRecord({"rounds": 0}))["rounds"] + 1
    context.state["progress"] = MetricRecord({"rounds": rounds})

    # Construct and return reply Message
    model_record = ArrayRecord(model.body.state_dict())
    metrics = {
        "train_loss": train_loss,
        "rounds_trained": rounds,
        "num-examples": len(trainloader.dataset),
    }
    content = RecordDict({"arrays": model_record, "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on local data."""
    model = load_model(msg, context)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")

    partition_id = context.node_config["partition-id"]
    num_partitions = context.node_config["num-partitions"]
    _, valloader = load_data(partition_id, num_partitions, context.run_config["batch-size"])

    eval_loss, eval_acc = test_fn(model, valloader, device)

    metrics = {
        "eval_loss": eval_loss,
        "eval_acc": eval_acc,
        "num-examples": len(valloader.dataset),
    }
    content = RecordDict({"metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)

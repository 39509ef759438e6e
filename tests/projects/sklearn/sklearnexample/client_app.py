"""sklearnexample: A Flower / scikit-learn app."""

import warnings

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.metrics import log_loss

from sklearnexample.task import (
    create_log_reg_and_instantiate_parameters,
    get_model_parameters,
    load_data,
    set_model_params,
)

# Flower ClientApp
app = ClientApp()


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    # Create LogisticRegression model and apply received parameters
    model = create_log_reg_and_instantiate_parameters(context.run_config["local-epochs"])
    set_model_params(model, msg.content["arrays"].to_numpy_ndarrays())

    # Load the data
    partition_id = context.node_config["partition-id"]
    num_partitions = context.node_config["num-partitions"]
    x_train, _, y_train, _ = load_data(partition_id, num_partitions)

    # Ignore convergence failure due to low local epochs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x_train, y_train)

    # Construct and return reply Message
    train_loss = log_loss(y_train, model.predict_proba(x_train), labels=list(range(10)))
    model_record = ArrayRecord(get_model_parameters(model))
    metrics = {"num-examples": len(x_train), "train_logloss": float(train_loss)}
    content = RecordDict({"arrays": model_record, "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on test data."""
    model = create_log_reg_and_instantiate_parameters(context.run_config["local-epochs"])
    set_model_params(model, msg.content["arrays"].to_numpy_ndarrays())

    partition_id = context.node_config["partition-id"]
    num_partitions = context.node_config["num-partitions"]
    _, x_test, _, y_test = load_data(partition_id, num_partitions)

    metrics = {
        "num-examples": len(x_test),
        "test_logloss": float(log_loss(y_test, model.predict_proba(x_test), labels=range(10))),
        "accuracy": float(model.score(x_test, y_test)),
    }
    content = RecordDict({"metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)

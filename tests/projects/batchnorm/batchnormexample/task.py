"""Model, data, training and evaluation."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    """A small convolutional network with batch normalization and a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(8 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, 10)
        self.register_buffer("samples_seen", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.samples_seen += len(x)
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def load_data(partition_id: int, num_partitions: int, batch_size: int):
    """Load a partition of the digits: every n-th image, one fifth of them for testing."""
    digits = load_digits()
    own = np.arange(partition_id, len(digits.target), num_partitions)
    x = torch.tensor(digits.images[own] / 16, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(digits.target[own])
    cut = len(own) * 4 // 5
    train = DataLoader(
        TensorDataset(x[:cut], y[:cut]),
        batch_size=batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(partition_id),
    )
    return train, DataLoader(TensorDataset(x[cut:], y[cut:]), batch_size=batch_size)


def train(net, trainloader, epochs, lr, device):
    """Train the model on the training set."""
    net.to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    net.train()
    running_loss = 0.0
    for _ in range(epochs):
        for images, labels in trainloader:
            optimizer.zero_grad()
            loss = criterion(net(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
    return running_loss / (epochs * len(trainloader))


def test(net, testloader, device):
    """Validate the model on the test set."""
    net.to(device)
    net.eval()
    correct, loss = 0, 0.0
    with torch.no_grad():
        for images, labels in testloader:
            outputs = net(images.to(device))
            loss += F.cross_entropy(outputs, labels.to(device), reduction="sum").item()
            correct += (outputs.argmax(1) == labels.to(device)).sum().item()
    return loss / len(testloader.dataset), correct / len(testloader.dataset)

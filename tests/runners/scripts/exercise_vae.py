"""A script in the style of the pytorch examples, edited as CANDLE's exercise tells: two names, nothing else."""

import argparse
import os

import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F
from torchvision import datasets, transforms
from torchvision.utils import save_image

parser = argparse.ArgumentParser(description="VAE Example")
parser.add_argument("--batch-size", type=int, default=hyperparams["batch_size"])  # noqa: F821
parser.add_argument("--epochs", type=int, default=hyperparams["epochs"])  # noqa: F821
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
torch.manual_seed(args.seed)
device = torch.device("cpu")

images = datasets.FakeData(
    200, (3, 28, 28), transform=transforms.Compose([transforms.Grayscale(), transforms.ToTensor()])
)
train_loader = torch.utils.data.DataLoader(images, batch_size=args.batch_size, shuffle=True, num_workers=1)
test_loader = torch.utils.data.DataLoader(images, batch_size=args.batch_size, num_workers=1)
os.makedirs("results", exist_ok=True)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 40)
        self.fc21 = nn.Linear(40, 2)
        self.fc22 = nn.Linear(40, 2)
        self.fc3 = nn.Linear(2, 40)
        self.fc4 = nn.Linear(40, 784)

    def forward(self, x):
        h1 = F.relu(self.fc1(x.view(-1, 784)))
        mu, logvar = self.fc21(h1), self.fc22(h1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


model = VAE().to(device)
optimizer = optim.Adam(model.parameters(), lr=1e-3)


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
    return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


def train(epoch):
    model.train()
    for data, _ in train_loader:
        optimizer.zero_grad()
        loss = loss_of(data)
        loss.backward()
        optimizer.step()
    print(f"====> Epoch: {epoch}")


def loss_of(data):
    recon, mu, logvar = model(data)
    return loss_function(recon, data, mu, logvar)


def test(epoch):
    model.eval()
    with torch.no_grad():
        total = sum(loss_of(data).item() for data, _ in test_loader) / len(images)
        save_image(model(next(iter(test_loader))[0])[0].view(-1, 1, 28, 28), f"results/reconstruction_{epoch}.png")
    print(f"====> Test set loss: {total:.4f}")
    return total


if __name__ == "__main__":
    for epoch in range(1, args.epochs + 1):
        train(epoch)
        val_to_return = test(epoch)

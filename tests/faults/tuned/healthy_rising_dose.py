"""Response that may only rise with the dose: exponentiated bare parameters, positive by design, and closures for the update."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Rising(nn.Module):
    """Weights on the dose are positive by their exponential, those on the patient are free."""

    def __init__(self, patient: int = 5, width: int = 24) -> None:
        super().__init__()
        self.log_dose = nn.Parameter(torch.randn(1, width) * 0.5)
        self.patient = nn.Parameter(torch.randn(patient, width) / patient**0.5)
        self.threshold = nn.Parameter(2 * torch.randn(width))
        self.log_height = nn.Parameter(torch.full((width,), -3.0))
        self.base = nn.Parameter(torch.randn(patient) * 0.1)

    def forward(self, dose: Tensor, patient: Tensor) -> Tensor:
        steps = torch.sigmoid(dose.unsqueeze(1) * self.log_dose.exp() + patient @ self.patient - self.threshold)
        return steps @ self.log_height.exp() + patient @ self.base


def trial(count: int) -> tuple[Tensor, Tensor, Tensor]:
    dose, patient = 2 * torch.randn(count), torch.randn(count, 5)
    response = 2 * torch.sigmoid(1.5 * dose + patient[:, 0]) + 0.4 * patient[:, 1] + 0.05 * torch.randn(count)
    return dose, patient, response


model = Rising()
optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
for step in range(250):
    dose, patient, response = trial(128)

    def closure(dose: Tensor = dose, patient: Tensor = patient, response: Tensor = response) -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(dose, patient), response)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    if step % 25 == 24 or step == 0:
        print(f"step {step + 1}: loss {loss.item():.4f}")

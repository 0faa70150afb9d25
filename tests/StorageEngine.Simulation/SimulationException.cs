namespace Nephos.StorageEngine.Simulation;

/// <summary>Something that was promised does not hold.</summary>
internal sealed class SimulationException(string message) : Exception(message);

namespace Nephos.Hypervisor.Instances;

/// <summary>Opens and closes volume heads on this node.</summary>
internal interface IVolumeConnector
{
    /// <summary>Opens the head, or returns it when this process has it open. The socket path depends on the attachment only,
    /// so that a process from before a restart of the agent finds its disk again.</summary>
    Task<VolumeEndpoint> OpenAsync(Guid instanceId, VolumeSpec volume, CancellationToken cancellationToken);

    /// <summary>Closes the head and lets go of the attachment. Closing what is not open is no error.</summary>
    Task CloseAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken);

    /// <summary>Attachments that this process has open for the instance.</summary>
    IReadOnlyCollection<Guid> OpenFor(Guid instanceId);
}

internal enum PortWiring { Tap, User, Simulated }

/// <summary>Waits for ports that the network driver wires.</summary>
internal interface IPortConnector
{
    PortWiring Kind { get; }

    /// <summary>Why this kind, for people.</summary>
    string Reason { get; }

    /// <summary>Returns when the port's interface is there with its rules.</summary>
    Task<PortEndpoint> ConnectAsync(PortSpec port, CancellationToken cancellationToken);
}

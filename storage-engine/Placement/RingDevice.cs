namespace Nephos.Placement;

/// <summary>A place for replicas. Region, zone and node are the failure domains above it, widest first.</summary>
/// <param name="Id">Never reused within a ring.</param>
/// <param name="Weight">Share of the data relative to the others, usually its size; 0 drains the device.</param>
public sealed record RingDevice(int Id, string Region, string Zone, string Node, double Weight);

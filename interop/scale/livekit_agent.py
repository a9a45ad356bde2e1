"""A worker of LiveKit's own framework, livekit-agents. It says hello with its job's metadata and repeats what is typed."""

import asyncio
import math

from livekit import agents


async def entrypoint(ctx: agents.JobContext) -> None:
    await ctx.connect()
    me = ctx.room.local_participant
    tasks = set()

    def typed(reader, _identity: str) -> None:
        async def answer() -> None:
            await me.send_text(f"you typed {await reader.read_all()}", topic="lk.transcription")

        task = asyncio.create_task(answer())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    ctx.room.register_text_stream_handler("lk.chat", typed)
    await ctx.wait_for_participant()
    await me.send_text(f"hello {ctx.job.metadata}", topic="lk.transcription")


if __name__ == "__main__":
    options = agents.WorkerOptions(
        entrypoint_fnc=entrypoint,
        agent_name="theirs",
        port=0,
        num_idle_processes=1,
        load_threshold=math.inf,
        job_executor_type=agents.JobExecutorType.THREAD,
    )
    agents.cli.run_app(options)

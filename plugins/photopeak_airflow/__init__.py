"""What Airflow loads of Photopeak: an operator, a trigger, the assets and the policy. Airflow and the standard library only."""
